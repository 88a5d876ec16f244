// Package testkit starts real servers for tests: a directory, a broker, a
// mail server, each from the configuration that is shipped and each gone with
// the test. It must not know the product that is tested against them.
package testkit
