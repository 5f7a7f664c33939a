"""How sure an answer is: the bootstrap, intervals, comparisons, ensembles."""
