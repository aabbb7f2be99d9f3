"""Catalogues of what people read: `python -m translating` renews them. See docs/translating.md."""
