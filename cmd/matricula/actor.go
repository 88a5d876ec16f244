package main

import (
	"os"
	"os/user"

	"github.com/spf13/cobra"
)

// addActor adds the flag by which a command says who gives it.
func addActor(c *cobra.Command, actor *string) {
	c.Flags().StringVar(actor, "actor", caller(), "who asks for it: `name` of a person or a ticket system; stands in the audit stream")
}

// caller is who runs the command: behind sudo it is not the service's user
// that asks.
func caller() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}
