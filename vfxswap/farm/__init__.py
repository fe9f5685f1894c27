"""The farm: one shot, many machines.

A shot is divided into chunks of frames; each leaves whole frames, and a last step assembles them. One plan says it all;
from it come a job for OpenJD, tasks for Ray, a script for OpenCue and one for Deadline. Queues, retries and hosts are
the engine's own affair: there is no scheduler here.
"""
