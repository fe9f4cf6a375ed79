"""Jobs for faults, and the mutants: the product with one promise taken out."""
