variable "db_password" {
  type      = string
  ephemeral = true
}

resource "pmoves_stack" "notes" {
  # The id of a host, such as that of a pmoves_docker_vm.
  host_id = "qemu/101"
  name    = "notes"

  compose = <<-EOT
    services:
      web:
        image: nginx:1.29-alpine
        ports: ["$${PORT}:80"]
        volumes: ["./site:/usr/share/nginx/html:ro"]
        depends_on:
          db: { condition: service_healthy }
        healthcheck:
          test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/"]
          interval: 5s
      db:
        image: postgres:18-alpine
        environment:
          POSTGRES_PASSWORD_FILE: /run/secrets/db_password
        secrets: [db_password]
        volumes: ["data:/var/lib/postgresql"]
        healthcheck:
          test: ["CMD", "pg_isready", "-U", "postgres"]
          interval: 5s
    volumes:
      data: {}
    secrets:
      db_password: {}
  EOT

  env = { PORT = "8080" }

  files = {
    "site/index.html" = "<h1>Notes</h1>"
  }

  # Never stored: a new version says that the secret changed.
  secrets_wo         = { db_password = var.db_password }
  secrets_wo_version = "1"
}

output "services" {
  value = { for name, service in pmoves_stack.notes.services : name => service.state }
}
