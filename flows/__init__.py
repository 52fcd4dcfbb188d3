"""Prefect flows: when and how often; what is done stands in `pacore`."""

import os

from pacore.proxies import keep_loopback_direct

# A worker starts flows in processes of their own, which no command of pacore has prepared.
keep_loopback_direct(os.environ)
