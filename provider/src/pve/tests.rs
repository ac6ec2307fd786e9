//! The client against a server that speaks real TLS and HTTP/1.1.
