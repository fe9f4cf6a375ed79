"""How Flower runs, whoever starts it here: read-only, with a password, on this machine alone.

Flower reads this file by its name from the present folder; the command line may say otherwise.
"""

import os
import sys

from flower.views.monitor import Metrics
from tornado.options import options
from tornado.web import authenticated

if not (any(options.basic_auth) or options.auth):
    sys.exit("Flower is never open: set FLOWER_BASIC_AUTH=user:password and start it again.")

read_only = True
address = os.environ.get("FLOWER_ADDRESS", "127.0.0.1")
Metrics.get = authenticated(Metrics.get)
