# The tables of who may call what. Services narrow it further to what the caller may see.
package mesh.control

# Anybody, also without a token: liveness, descriptions, and enrolment, which brings its own proof.
open_methods := {
	"/grpc.health.v1.Health/Check": true,
	"/grpc.health.v1.Health/List": true,
	"/grpc.health.v1.Health/Watch": true,
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": true,
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": true,
	"/mesh.v1.AgentService/EnrolAgent": true,
}

# Every user and every service account.
person_methods := {
	"/mesh.v1.AgentService/GetAgent": true,
	"/mesh.v1.AgentService/ListAgents": true,
	"/mesh.v1.AgreementService/ApproveAgreement": true,
	"/mesh.v1.AgreementService/CancelAgreement": true,
	"/mesh.v1.AgreementService/GetAgreement": true,
	"/mesh.v1.AgreementService/ListAgreements": true,
	"/mesh.v1.AgreementService/RejectAgreement": true,
	"/mesh.v1.AgreementService/RequestAgreement": true,
	"/mesh.v1.AgreementService/RevokeAgreement": true,
	"/mesh.v1.AuditService/GetReceipt": true,
	"/mesh.v1.AuditService/ListEntries": true,
	"/mesh.v1.AuditService/SummarizeReads": true,
	"/mesh.v1.AuditService/TailEntries": true,
	"/mesh.v1.ContractService/GetContract": true,
	"/mesh.v1.ContractService/ListProducts": true,
	"/mesh.v1.IdentityService/GetCaller": true,
	"/mesh.v1.IdentityService/IssueToken": true,
	"/mesh.v1.LogService/ListLogs": true,
	"/mesh.v1.LogService/ProveReceipt": true,
	"/mesh.v1.OpaService/GetBundleKey": true,
	"/mesh.v1.OpaService/ListOpas": true,
	"/mesh.v1.PolicyService/GetPolicy": true,
	"/mesh.v1.PolicyService/GetPolicyModule": true,
	"/mesh.v1.PurposeService/ListPurposes": true,
	"/mesh.v1.StatusService/GetStatus": true,
}

# Enrolled agents, each for itself.
agent_methods := {
	"/mesh.v1.AgentService/GetAgent": true,
	"/mesh.v1.AgentService/ReadRehearsal": true,
	"/mesh.v1.AgentService/ReportAgent": true,
	"/mesh.v1.AgentService/ReportRehearsal": true,
	"/mesh.v1.AgentService/Sync": true,
	"/mesh.v1.AuditService/AppendEvents": true,
	"/mesh.v1.AuditService/ReportEvidence": true,
	"/mesh.v1.ContractService/PublishContract": true,
	"/mesh.v1.IdentityService/GetCaller": true,
}

# People with one of these duties.
duty_methods := {
	"/mesh.v1.AgentService/CreateJoinToken": {"admin": true},
	"/mesh.v1.ErasureService/ErasePrincipal": {"admin": true},
	"/mesh.v1.ErasureService/ListErasures": {"admin": true, "auditor": true, "security": true},
	"/mesh.v1.ContractService/PublishContract": {"admin": true},
	"/mesh.v1.LogService/ReadLog": {"admin": true, "auditor": true, "security": true},
	"/mesh.v1.LogService/SignManifest": {"admin": true, "auditor": true, "security": true},
	"/mesh.v1.PolicyService/ActivatePolicy": {"security": true},
	"/mesh.v1.PolicyService/DecideFor": {"admin": true, "auditor": true, "security": true},
	"/mesh.v1.PolicyService/GetPolicyStatus": {"admin": true, "auditor": true, "security": true},
	"/mesh.v1.PolicyService/GetRehearsal": {"security": true},
	"/mesh.v1.PolicyService/ListPolicyActivations": {"admin": true, "auditor": true, "security": true},
	"/mesh.v1.PolicyService/ListPolicyRevisions": {"admin": true, "auditor": true, "security": true},
	"/mesh.v1.PolicyService/PushPolicy": {"security": true},
	"/mesh.v1.PolicyService/ReadPolicyRevision": {"admin": true, "auditor": true, "security": true},
	"/mesh.v1.PolicyService/RollBackPolicy": {"security": true},
	"/mesh.v1.PolicyService/StartRehearsal": {"security": true},
	"/mesh.v1.PurposeService/AddPurpose": {"admin": true, "security": true},
}

# People with one of these duties for the domain that the call names.
domain_duty_methods := {
	"/mesh.v1.AgentService/CreateJoinToken": {"owner": true, "steward": true},
	"/opa/bundles": {"opa": true},
	"/opa/logs": {"opa": true},
	"/opa/status": {"opa": true},
}

# People with one of these duties for some domain.
any_domain_duty_methods := {
	"/mesh.v1.ContractService/PublishContract": {"owner": true},
	"/mesh.v1.PolicyService/ActivatePolicy": {"owner": true},
	"/mesh.v1.PolicyService/DecideFor": {"owner": true, "steward": true},
	"/mesh.v1.PolicyService/GetPolicyStatus": {"owner": true, "steward": true},
	"/mesh.v1.PolicyService/GetRehearsal": {"owner": true, "steward": true},
	"/mesh.v1.PolicyService/ListPolicyActivations": {"owner": true, "steward": true},
	"/mesh.v1.PolicyService/ListPolicyRevisions": {"owner": true, "steward": true},
	"/mesh.v1.PolicyService/PushPolicy": {"owner": true, "steward": true},
	"/mesh.v1.PolicyService/ReadPolicyRevision": {"owner": true, "steward": true},
	"/mesh.v1.PolicyService/RollBackPolicy": {"owner": true},
	"/mesh.v1.PolicyService/StartRehearsal": {"owner": true, "steward": true},
	"/mesh.v1.PurposeService/AddPurpose": {"steward": true},
}
