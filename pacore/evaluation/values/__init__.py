"""The value of a message: what one message is worth to the next trajectory."""
