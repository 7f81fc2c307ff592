"""Where things are: positions, datums, cameras, terrain, georeferencing, coverage planning and KLV.

Frames used throughout, named once here:

- plane: x east, y north, z height, metres, on a ``LocalPlane``; right-handed (ENU).
- ned: north, east, down; attitudes are given in it, as MAVLink does.
- body: forward, right, down (FRD) of a vehicle, or of a camera mount whose forward axis is the boresight.
- camera: x right, y down, z along the boresight (OpenCV).
- pixel: u right, v down, px; (0, 0) is the centre of the top-left pixel.
"""
