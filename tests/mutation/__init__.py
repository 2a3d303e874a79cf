"""A mutation run over `ibcore`: how many small mistakes would the tests and the claims notice?

`make mutants` draws a random sample of *mutants*, copies of a module with one small mistake, and
lets two judges look at each: the unit tests that execute the mutated lines, and, for what they let
pass, the chapters that do. What survives both is killed by a better test, or is explained in
`explained.toml`: it cannot be told from the original, or nobody should want to. The result is
`record.json`.

An own tester, and not one of the established ones: a mutant must be installed before the module is
imported (losses are tables of lambdas, constants and properties matter, results are cached), which
testers that switch between copies of plain functions leave out; and a new interpreter for each
mutant would spend its time on importing torch.
"""
