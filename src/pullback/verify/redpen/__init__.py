"""The red pen: which term of a backward pass is wrong, told by what its results fit.

``trials`` runs the forward and the backward pass that a person wrote at sizes and values of its
own choosing; ``changes`` lists formulas that differ from the derived one by a single change;
``fit`` finds the change whose formula gives the numbers that were found; ``grid`` evaluates
formulas; ``mistake`` says what was found in words.
"""
