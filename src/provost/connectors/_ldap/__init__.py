"""LDAP for the kinds that are directories: names, one connection with a thread of its own, sessions.

The underscore keeps this package out of the list of kinds.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # ldap3 2.9 calls pyasn1 by names that are old
    try:
        import ldap3  # noqa: F401  # the modules here import it as well; this is where its absence is told
    except ImportError as missing:
        raise ImportError("Directories need ldap3: pip install 'provost[ldap]'.") from missing
