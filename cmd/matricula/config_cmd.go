package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"usn.no/matricula/deploy"
)

func configCommand() *cobra.Command {
	var example bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the settings in force, or the commented sample",
		Long: `Print the settings in force as TOML: the file, the environment over it, and the
defaults. Secrets are files and stay in them. --example prints the commented
sample to begin with.`,
		Example: "  matricula config --example > matricula.toml\n  matricula config --config matricula.toml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if example {
				_, err := fmt.Fprint(c.OutOrStdout(), deploy.Sample)
				return err
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), cfg.TOML(deploy.Sample))
			return err
		},
	}
	c.Flags().BoolVar(&example, "example", false, "print the commented sample")
	return c
}
