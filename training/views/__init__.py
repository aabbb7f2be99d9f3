"""The training pages. Leads only: what is decided here changes what everybody's guard says."""
