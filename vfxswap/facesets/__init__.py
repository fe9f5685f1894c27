"""Facesets: cut from shots and stills, sifted, looked at, compared with a plate, taken over from other programs.

A wing on the fourth floor: it uses the engine and the plugins, and nothing but the command line and training use it.
"""

from __future__ import annotations
