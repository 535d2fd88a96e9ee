"""What the op table is tested with: references in NumPy, arrays from samples, drivers. Only tests import it."""
