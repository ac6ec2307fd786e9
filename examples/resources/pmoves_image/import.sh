# The node, a slash, and the volume id.
tofu import pmoves_image.debian pve1/local:import/debian-13.qcow2
