"""icas: cluster folders of images by similarity; segment and paint images.

Public names are listed in ``__init__.pyi`` and loaded at first use.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
