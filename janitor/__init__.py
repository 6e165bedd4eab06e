"""The process that removes what nobody has used for long, and nothing else.

What is due is told by events and, should those be lost, found by a slow sweep; either way it is
judged by what storage says at that moment. A repository's link goes first; the blob's data goes
only when no repository is left that has, or is about to have, a link to it.
"""
