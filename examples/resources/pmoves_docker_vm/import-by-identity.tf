import {
  to = pmoves_docker_vm.apps
  identity = {
    vm_id = 101
  }
}
