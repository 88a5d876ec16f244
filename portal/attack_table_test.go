package portal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// attack is something that was done to a product like this one, and the tests
// that hold it here, each as package folder and name.
type attack struct {
	n     int
	what  string
	tests []string
}

// attacks are all of the project's list. Most that touch the portal are held
// twice: by its pages here, and by package account behind them.
func attacks() []attack {
	return []attack{
		{1, "steps out of order (CVE-2026-18963)", []string{"portal.TestT1PasswordWithoutProofIsRefused", "portal.TestT1NoOtherOrderOfStepsSetsAPassword",
			"portal.TestT1NewPasswordWithTheNumberNeedsTheReport"}},
		{2, "the mark of use is lost (CVE-2026-4325)", []string{"account.TestT2UsedLinkStaysUsedWhenEveryCounterIsGone", "portal.TestReplicasShareCookies"}},
		{3, "two clicks at once (CVE-2026-1035)", []string{"portal.TestSecondOfTwoClicksIsToldThatAllIsWell",
			"account.TestSecondClickFindsInvitationSpentAndFirstPasswordStands",
			"directory.TestSlapdIsADirectory", "directory/kv.TestABucketIsADirectory", "cmd/matricula.TestKilledUnderAClickItIsDoneWholeOrNotAtAll"}},
		{4, "a blocked account gets in (CVE-2025-0604)", []string{"portal.TestT4BlockedAccountGetsNoSession",
			"account.TestSignInAnswersUnknownWrongAndBlockedAlike", "directory.TestOnlyActivePeopleBind"}},
		{5, "a changed token (CVE-2026-1529)", []string{"portal.TestT5ChangedSealIsNoSeal", "portal.TestT5SealOfAnotherSecretIsNoSeal",
			"account.TestChangedTicketIsRefused", "account.TestRequestOpensForItsOwnRequestOnly"}},
		{6, "one person's proof in another's session (CVE-2026-9087)", []string{"portal.TestT6NobodyReportsSomebodyElse", "portal.TestLinkInAnotherTabDoesNotInheritTheProof",
			"account.TestT6LinkToAnAddressThatIsNoLongerThePersonsDies", "account.TestT6WayBackIsOfThisReportOnly", "account.TestLinkToAnEarlierAddressIsToldApartFromAUsedOne"}},
		{7, "a session fixed beforehand (CVE-2026-7507)", []string{"portal.TestT7PlantedCookiesAreRefused",
			"portal.TestT7SessionHasANewIDAtEachStepUpAndAPlantedOneIsNone", "portal.TestT7SigningInAgainEndsTheSessionBefore"}},
		{8, "a link that works again (CVE-2026-73431)", []string{"account.TestT8EveryOlderLinkDiesWithANewPassword", "portal.TestBackButtonAfterTheReceiptLeadsBackToIt"}},
		{9, "a token of another purpose (CVE-2026-52809)", []string{"portal.TestT9SealOpensAsWhatItIsOnly", "account.TestT9LinkOfOnePurposeIsNoneOfAnother",
			"account.TestProofIsNoTicketAndTicketNoProof"}},
		{10, "a token without a time (CVE-2026-18363)", []string{"account.TestT10InvitationWithoutATimeHasNone"}},
		{11, "a token that outlives its time (CVE-2025-64708)", []string{"account.TestT11LinkEndsAtItsInstant", "account.TestProofExpires", "portal.TestProofRunsOutWithoutStrandingAnybody"}},
		{12, "a token cut short (CVE-2026-27840)", []string{"portal.TestT12CutAndChangedLinksAreRefused", "account.TestChangedTicketIsRefused"}},
		{13, "empty, doubled and strange fields (CVE-2026-49448)", []string{"portal.TestT13StrangeFormsReachNobody", "portal.TestIncompleteFormCostsNoAttemptAndNamesEveryFault"}},
		{14, "somebody who was not invited (CVE-2022-46145)", []string{"account.TestT14NumberOfSomebodyElseActivatesNothing", "account.TestFiveWrongNumbersFreezeThatLinkOnlyAndANewOneWorks"}},
		{15, "somebody else's account or mailbox named in the form (midPoint 017)", []string{"portal.TestT15NoFieldNamesAnAccountOrAnAddress",
			"account.TestT15LetterGoesWhereTheDirectorySaysWhoeverAsks", "account.TestNobodyIsWrittenToForWrongNamesNumbersAndStates"}},
		{16, "a host of the sender's choice (CVE-2025-64101)", []string{"portal.TestT16HostHeadersNeverReachAPage", "mailer.TestLinksComeFromTheConfiguredPortalOnly"}},
		{17, "a sender of the sender's choice (CVE-2024-47070)", []string{"portal.TestT17SpoofedForwardedForNeverChangesTheLimit"}},
		{18, "who exists shows in an answer (CVE-2024-41952)", []string{"portal.TestT18SignInSaysTheSameOfEverybody", "portal.TestT18AnswersTakeTheSameTime",
			"portal.TestT18ForgottenIsAnsweredTheSameWhoeverAsks", "portal.TestNewLetterIsAskedForWithOneAnswerWhateverComesOfIt",
			"account.TestT18TheSameIsReadAndCountedForEverybody", "account.TestRequestIsTheSameForEverybodyAndReadableToNobody"}},
		{19, "guessing without an end (CVE-2025-64102)", []string{"portal.TestT19TooManyTriesAreToldWhenToComeBack", "portal.TestFiveWrongNumbersLeadToTheLetter",
			"account.TestT19GuessesFromOnePlaceAreBoundedAndLockNobodyOut", "account.TestT19NumbersTypedSideBySideAreFewAndFreezeThatLinkOnly",
			"account.TestFiveWrongNumbersEndTheWayBackOfThisBrowserOnly"}},
		{20, "a mailbox flooded (CVE-2023-51316)", []string{"account.TestT20HundredsOfRequestsSendThreeLettersAnHour", "account.TestRequestsFromOnePlaceAreBounded"}},
		{21, "a filter in a field (CVE-2026-44671)", []string{"account.TestT21WhatIsTypedIsNeverAFilter"}},
		{22, "an address that is two (CVE-2025-59937)", []string{"mailer.TestAddressIsTakenOrRefusedWhole"}},
		{23, "two messages in one (CVE-2023-51764)", []string{"mailer.TestNamesAreInertInEveryLetter"}},
		{24, "a header in a name (CVE-2021-37420)", []string{"mailer.TestNamesAreInertInEveryLetter"}},
		{25, "markup in a name (CVE-2024-41953)", []string{"mailer.TestNamesAreInertInEveryLetter", "portal.TestT30WhatPeopleTypeAndAreCalledIsText"}},
		{26, "fields that were not asked for (CVE-2026-27946)", []string{"portal.TestT26UsernameInTheFormDecidesNothing", "portal.TestT26SessionDecidesWhosePasswordIsChanged"}},
		{27, "a redirect of the sender's making (CVE-2024-8883)", []string{"portal.TestT27NoRequestComposesARedirect"}},
		{28, "a form of another site (CVE-2025-47910)", []string{"portal.TestT28FormsOfOtherSitesAreRefused"}},
		{29, "a session that survives the password (CVE-2026-34828)", []string{"portal.TestT29EveryOtherSessionEndsWithThePassword", "account.TestSessionsDieByComparison"}},
		{30, "what is typed becomes markup (CVE-2026-39823)", []string{"portal.TestT30WhatPeopleTypeAndAreCalledIsText"}},
		{31, "a secret in a log or a store (midPoint 006)", []string{"portal.TestLogHoldsNothingThatARequestBroughtAlong", "portal.TestLogNamesNobodyWhoSignsInOrAsks",
			"portal.TestWhoReadsTheBucketHasNoSession", "account.TestCountersNameNobody", "account.TestRequestIsTheSameForEverybodyAndReadableToNobody"}},
		{32, "the broker's own interface (CVE-2026-33222)", []string{"stream.TestForbiddenWritesAreRefused", "testkit.TestEachRoleHearsItsOwnInboxOnly", "testkit.TestPortalCannotEraseCounters"}},
	}
}

// TestEveryAttackIsHeldByATestThatExists reads the test files: the table is no
// list of good intentions.
func TestEveryAttackIsHeldByATestThatExists(t *testing.T) {
	t.Parallel()
	there := map[string]map[string]bool{}
	for i, a := range attacks() {
		if a.n != i+1 {
			t.Errorf("attack %d stands where %d should", a.n, i+1)
		}
		if len(a.tests) == 0 {
			t.Errorf("nothing holds T%d, %s", a.n, a.what)
		}
		for _, name := range a.tests {
			dir, test, _ := strings.Cut(name, ".")
			if there[dir] == nil {
				there[dir] = testsIn(t, filepath.Join("..", filepath.FromSlash(dir)))
			}
			if !there[dir][test] {
				t.Errorf("T%d, %s, is held by %s, which does not exist or does nothing", a.n, a.what, name)
			}
		}
	}
	number := regexp.MustCompile(`^TestT([0-9]+)`)
	for dir, tests := range there {
		for test := range tests {
			m := number.FindStringSubmatch(test)
			if m == nil {
				continue
			}
			n, err := strconv.Atoi(m[1])
			if err != nil || n < 1 || n > len(attacks()) || !slices.Contains(attacks()[n-1].tests, dir+"."+test) {
				t.Errorf("the table does not name %s.%s", dir, test)
			}
		}
	}
}

// testsIn are the tests of a folder that can fail: they report something, by
// themselves or through a function that is given t.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests: %v", dir, err)
	}
	found := map[string]bool{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") && fn.Body != nil {
				found[fn.Name.Name] = canFail(fn.Body)
			}
		}
	}
	return found
}

// canFail looks for t.Error and its like, or t handed on.
func canFail(body *ast.BlockStmt) bool {
	fails := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "t" {
				fails = fails || slices.Contains([]string{"Error", "Errorf", "Fatal", "Fatalf"}, n.Sel.Name)
			}
		case *ast.CallExpr:
			fails = fails || slices.ContainsFunc(n.Args, func(a ast.Expr) bool { x, ok := a.(*ast.Ident); return ok && x.Name == "t" })
		}
		return true
	})
	return fails
}
