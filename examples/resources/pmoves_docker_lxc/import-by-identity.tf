import {
  to = pmoves_docker_lxc.apps
  identity = {
    vm_id = 102
  }
}
