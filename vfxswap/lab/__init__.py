"""The lab: procedural performers that play a shot, so that footage with known truth belongs to the project itself.

A shot is rendered twice: once as performer A plays it (the plate), once with B's face on A's head (the truth that a
perfect swap would give), with exact mattes, landmarks, depth and motion. Nobody's likeness is used. The core never
imports this package; `vfxswap lab` and tests do.

Units: centimetres. Axes of the world: x to the image's right, y up, z towards the camera; the origin lies between the
ears at eye height. Colour is scene-linear with BT.709 primaries, where 1.0 is a white sheet in the key light.
"""
