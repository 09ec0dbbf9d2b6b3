# SPDX-License-Identifier: MIT
"""GitHub's stand-in: REST API, webhooks, the queue of jobs, the broker that runners connect to.

Start with `stand_in`. GitHub's own description of its API (an npm package, see package.json) judges
what either side says.
"""
