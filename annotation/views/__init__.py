"""The pages. Views translate between the browser and selectors and services; they decide nothing."""
