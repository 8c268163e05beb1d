//! Tools, sandboxes and workspaces for coding agents.
