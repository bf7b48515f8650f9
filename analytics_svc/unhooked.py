"""pygal without its import hook.

pygal hooks into the imports of the whole process, for maps, with what Python has given up: it goes
before anything else is imported.
"""

import sys

import pygal
from pygal.style import Style

__all__ = ["Style", "pygal"]

sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, pygal.PluginImportFixer)]
