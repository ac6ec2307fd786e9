import {
  to = pmoves_stack.notes
  identity = {
    host_id = "qemu/101"
    name    = "notes"
  }
}
