"""The pages of what messages cost: an agency's bill by months and campaigns; and the prices that all pages estimate by."""
