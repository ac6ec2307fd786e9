# "# Where it listens\nPORT=8080\n"
output "env" {
  value = provider::pmoves::render_env("# Where it listens\nPORT=\n", { PORT = "8080" })
}
