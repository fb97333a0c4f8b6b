"""The pages that explain: help, and the calculator."""
