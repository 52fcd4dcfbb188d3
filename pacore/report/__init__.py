"""What people read: tables and text for the terminal, JSON, and figures."""
