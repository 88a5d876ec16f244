package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
)

func accountCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "account",
		Short: "List accounts, show or explain one, give an order about one",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(accountListCommand(), accountShowCommand(), accountExplainCommand(), accountEraseCommand())
	c.AddCommand(accountResendCommand(), accountSuspendCommand(), accountRestoreCommand(), accountRequireChangeCommand(),
		accountOpenCommand(), accountMergeCommand())
	return c
}

// accountRow is one line of `account list`. It holds no identity number.
type accountRow struct {
	Username string     `json:"username"`
	Account  string     `json:"account"`
	State    string     `json:"state"`
	Why      string     `json:"why"`
	Since    *time.Time `json:"since,omitempty"` // left out: taken over, and nobody wrote it down
	Roles    []string   `json:"roles"`
	Address  string     `json:"address,omitempty"` // masked
	Bounced  *bounce    `json:"bounced,omitempty"` // the address that letters came back from
	Opens    *time.Time `json:"opens,omitempty"`
	Ends     []roleEnd  `json:"ends,omitempty"`
	Turn     *time.Time `json:"turn,omitempty"`  // when time alone changes it next
	Lacks    string     `json:"lacks,omitempty"` // number, address or role: what keeps it from activating
}

func rowOf(life *account.Lifecycle, a account.Account) accountRow {
	r := accountRow{
		Username: a.Username, Account: a.ID, State: string(a.State), Why: a.Why.Reason, Since: timeOrNil(a.Why.Since),
		Address: addressOf(a, a.Address), Lacks: life.Lacks(a), Ends: endsOf(a), Turn: turnOf(a),
	}
	for _, role := range a.Roles {
		if kind := role.Kind; !strings.Contains(strings.Join(r.Roles, " "), kind) {
			r.Roles = append(r.Roles, kind)
		}
	}
	if gone, since, ok := a.Bounced(); ok {
		r.Bounced = &bounce{Address: addressOf(a, gone), Since: since}
	}
	if at, ok := life.Opens(a); ok {
		r.Opens = timeOrNil(at)
	}
	return r
}

func accountListCommand() *cobra.Command {
	var asJSON, owing bool
	var state, actor string
	c := &cobra.Command{
		Use:   "list",
		Short: "List accounts",
		Example: "  matricula account list --state pending\n  matricula account list --json | jq -r .username\n" +
			"  matricula account list --rules-not-accepted",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, p, err := openPeople(c)
			if err != nil {
				return err
			}
			defer s.close()
			owes := func(account.Account) bool { return true }
			if owing {
				if owes, err = s.owesRules(); err != nil {
					return err
				}
			}
			var people []account.Account
			err = p.Each(c.Context(), account.Query{State: account.State(state)}, func(a account.Account) bool {
				if owes(a) {
					people = append(people, a)
				}
				return true
			})
			if err != nil {
				return err
			}
			if err := s.lookedUp(c.Context(), "account list", actor, people...); err != nil {
				return err
			}
			return s.printAccounts(c.OutOrStdout(), people, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	c.Flags().BoolVar(&owing, "rules-not-accepted", false, "only those who have still to accept the IT rules in force; the portal asks them at the next sign-in")
	addActor(c, &actor)
	c.Flags().StringVar(&state, "state", "", "only accounts in this `state`: pending, active, suspended, closed")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"pending", "active", "suspended", "closed"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (s *system) printAccounts(w io.Writer, people []account.Account, asJSON bool) error {
	life := s.lifecycle()
	var rows [][]any
	for _, a := range people {
		r := rowOf(life, a)
		if !asJSON {
			rows = append(rows, []any{r.Username, r.State, r.Why, strings.Join(r.Roles, ","), orUnknown(r.Since), openText(r.Opens), turnText(r.Turn), orDash(r.Lacks)})
		} else if err := printJSON(w, r); err != nil {
			return err
		}
	}
	if asJSON {
		return nil
	}
	return table(w, []any{"USERNAME", "STATE", "WHY", "ROLES", "SINCE", "OPENS", "TURN", "LACKS"}, rows)
}

func openText(t *time.Time) string {
	if t == nil {
		return "at once"
	}
	return oslo(*t)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func accountShowCommand() *cobra.Command {
	var asJSON bool
	var actor string
	c := &cobra.Command{
		Use:     "show USERNAME|ACCOUNT-ID|student:NUMBER|employee:NUMBER",
		Short:   "Show one account",
		Example: "  matricula account show karnor\n  matricula account show student:256789",
		Args:    oneArg("name one account"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := refuseNumber(args[0]); err != nil {
				return err
			}
			s, p, err := openPeople(c)
			if err != nil {
				return err
			}
			defer s.close()
			a, err := findPerson(c.Context(), p, args[0])
			if err != nil {
				return fmt.Errorf("account %s: %w", args[0], err)
			}
			if err := s.lookedUp(c.Context(), "account show", actor, a); err != nil {
				return err
			}
			r := rowOf(s.lifecycle(), a)
			troubles, err := s.letterTroubles(c.Context(), a.ID)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), accountDetails{r, troubles})
			}
			err = table(c.OutOrStdout(), []any{"username", r.Username}, [][]any{
				{"account", r.Account},
				{"state", fmt.Sprintf("%s (%s) since %s", r.State, r.Why, orUnknown(r.Since))},
				{"roles", endsText(r.Ends)},
				{"next turn", turnText(r.Turn)},
				{"opens", openText(r.Opens)},
				{"lacks", orDash(r.Lacks)},
				{"letters go to", r.letters()},
				{"invitations", invitationText(a)},
				{"password set", setText(a.PasswordSince)},
				{"rules accepted", orDash(a.Rules.Version)},
				{"not yet published", len(a.Unsent)},
			})
			if err != nil {
				return err
			}
			return printTroubles(c.OutOrStdout(), troubles)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	addActor(c, &actor)
	return c
}

func invitationText(a account.Account) string {
	var out []string
	for _, i := range a.Invitations {
		out = append(out, i.Purpose+" until "+oslo(i.Expires))
	}
	return orDash(strings.Join(out, ", "))
}

// keyOf reads how an operator names an account. An identity number is none of
// the ways: it would stand in the shell's history.
func keyOf(name string) account.Key {
	switch {
	case strings.HasPrefix(name, "student:"), strings.HasPrefix(name, "employee:"):
		return account.Key{Kind: account.ByLIN, Value: name}
	case len(name) == 26:
		return account.Key{Kind: account.ByID, Value: name}
	}
	return account.Key{Kind: account.ByUsername, Value: strings.ToLower(name)}
}

// openPeople is openAdmin with the directory.
func openPeople(c *cobra.Command) (*system, people, error) {
	s, err := openAdmin(c)
	if err != nil {
		return nil, nil, err
	}
	p, err := s.people(c.Context(), roleOperator, s.js)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, p, nil
}
