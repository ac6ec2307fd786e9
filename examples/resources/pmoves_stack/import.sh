# The host, a slash, and the name of the Compose project.
tofu import pmoves_stack.notes qemu/101/notes
