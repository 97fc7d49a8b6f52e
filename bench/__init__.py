"""What plugpy costs, beside its peers, in one run: `python -m bench`. See bench/README.md.

Lives here: the harness (command, cases, servers, measures, report), what is served (apps by
plugpy, peers by others), and scripts of their own for single parts (otp, accept, router).
"""
