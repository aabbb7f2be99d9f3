"""Translation catalogues: `python -m translating` updates them. See docs/translating.md."""
