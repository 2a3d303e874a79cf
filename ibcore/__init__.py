"""The mathematics behind the executable papers on the implicit bias of gradient methods.

Each module is one idea of the field, named as the field names it; importing the package imports
none of them, so a chapter that needs no automatic differentiation never loads torch.
"""

__version__ = "0.1.0"
