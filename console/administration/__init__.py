"""The pages of ops and persons in charge: what runs, agencies and people, limits of campaigns, the audit trail, the notice."""
