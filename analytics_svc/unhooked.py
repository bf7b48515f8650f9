"""pygal without its import hook.

pygal hooks into the imports of the whole process, for maps, with what Python has given up: it goes
before anything else is imported.
"""

import sys

import pygal

__all__ = ["pygal"]

sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, pygal.PluginImportFixer)]
