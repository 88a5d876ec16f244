// Package deploy holds what an operator touches: configuration, schema and
// unit files. They are embedded so that setup and the tests apply the very
// files that an operator reads. It must not know what they mean.
package deploy

import "embed"

// LDAP holds slapd.conf, base.ldif and the schema files, under "ldap/".
//
//go:embed ldap
var LDAP embed.FS

// Sample is matricula.toml: every setting with its meaning and its default.
//
//go:embed matricula.toml
var Sample string

// NATS holds nats-server.conf, users.conf and cluster.conf, under "nats/".
//
//go:embed nats
var NATS embed.FS

// Demo holds the people of the demo as events, JSON Lines in order.
//
//go:embed examples/events/demo
var Demo embed.FS

// DemoFile is their place in Demo; LivesFile that of a dozen whole lives, with
// how each account must stand on the way.
const (
	DemoFile  = "examples/events/demo/people.jsonl"
	LivesFile = "examples/events/demo/lives/lives.jsonl"
)

// Platforms holds what starts the roles: systemd units, a compose file and
// Kubernetes manifests, each under its own folder.
//
//go:embed systemd compose k8s
var Platforms embed.FS
