"""What is charged, to whom: prices, totals, and the reports of months that were posted."""
