"""Inputs that nobody would write, given to every reader of the package.

``mutations`` damages real inputs, ``targets`` are the readers, ``seeds`` what they start from, ``worker`` the process
they run in, ``__main__`` the many inputs, ``guided`` the search by coverage; ``corpus.json`` is what was found.
"""
