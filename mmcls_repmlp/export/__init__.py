"""Export of models to other runtimes, with comparison and int8."""
