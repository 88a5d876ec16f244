package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"usn.no/matricula/stream"
)

const setupHelp = `Make what the configuration names and what is missing: keys (below
data_dir/keys), streams, key-value buckets and consumers on the broker. What is
there is brought to the settings; run it again after an upgrade or a change.

It refuses to narrow a stream that holds messages, because the broker would
delete what no longer fits, and to change worker.lanes under running workers.
--force does both; stop the workers first.

The servers themselves are set up from the files that ship: deploy/nats for the
broker and deploy/ldap for the directory. --export DIR writes them out.`

func setupCommand() *cobra.Command {
	var force, keysOnly, streamsOnly bool
	var export string
	c := &cobra.Command{
		Use:     "setup",
		Short:   "Make keys, streams and consumers, or bring them to the settings",
		Long:    setupHelp,
		Example: "  matricula setup --config /etc/matricula/matricula.toml\n  matricula setup --export ./kit",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if export != "" {
				return exportDeploy(c.OutOrStdout(), export)
			}
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			if streamsOnly {
				return setupStreams(c, cfg, force)
			}
			lines, err := makeKeys(cfg)
			for _, l := range lines {
				_, _ = fmt.Fprintln(c.OutOrStdout(), l)
			}
			if err != nil || keysOnly {
				return err
			}
			return setupStreams(c, cfg, force)
		},
	}
	c.Flags().BoolVar(&force, "force", false, "narrow streams and regroup lanes although messages may be deleted")
	c.Flags().BoolVar(&keysOnly, "keys-only", false, "make keys and nothing else")
	c.Flags().BoolVar(&streamsOnly, "streams-only", false, "make no keys: where they are handed out by somebody else")
	c.MarkFlagsMutuallyExclusive("keys-only", "streams-only")
	c.Flags().StringVar(&export, "export", "", "write the configuration files of the servers into this `folder`, and nothing else")
	_ = c.MarkFlagDirname("export")
	return c
}

func setupStreams(c *cobra.Command, cfg Config, force bool) error {
	if cfg.Embedded && cfg.NATS.URL == "" {
		_, err := fmt.Fprintln(c.OutOrStdout(), "streams: the embedded broker makes them when it starts")
		return err
	}
	s, err := openAdmin(c)
	if err != nil {
		return err
	}
	defer s.close()
	before, err := stream.Drift(c.Context(), s.js, s.settings())
	if err != nil {
		return err
	}
	if err := stream.Declare(c.Context(), s.js, s.settings(), force); err != nil {
		return err
	}
	for _, d := range before {
		_, _ = fmt.Fprintln(c.OutOrStdout(), "mended", d)
	}
	after, err := stream.Drift(c.Context(), s.js, s.settings())
	if err != nil {
		return err
	}
	if len(after) > 0 {
		return errors.New("streams still differ: " + after[0])
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), "streams, buckets and consumers are as the settings say")
	return err
}
