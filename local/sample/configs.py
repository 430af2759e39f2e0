"""The configurations that the sample's two environments are hydrated with."""

from __future__ import annotations

ENVIRONMENT = "3f0c2a9e-77aa-4b52-9d3c-1f8b6f5d2e10"
DATAVERSE_HOST = "contoso.crm.dynamics.com"
BUSINESS_ENVIRONMENT = "b5d1e7c4-2f60-4a8e-8c1b-94e0a7d3f652"
BUSINESS_HOST = "fabrikam.crm.dynamics.com"

CONFIG = f"""\
publisher_prefix = "msdynci"
settle_seconds = 120
whole_within = "2h"

[environments."{ENVIRONMENT}"]
dataverse_url = "https://{DATAVERSE_HOST}"
audience = "individuals"

[data_sources.CRM]
dataverse = "https://{DATAVERSE_HOST}"

[data_sources.CRM.tables.contact]
logical_name = "contact"
primary_key = "contactid"

[data_sources.CRM.tables.lead]
logical_name = "lead"
primary_key = "leadid"

[data_sources.Shop.tables.customers]
primary_key = "customerid"

[tables.UnifiedActivity]
keep_days = 3650

[tables.Enrichment]
entities = ["*FromMicrosoft", {{ name = "CompanyData", provider = "Leadspace", type = "Company data" }}]

[tables.Prediction]
entities = [
    {{ name = "ChurnScores", provider = "Contoso", model = "Churn" }},
    {{ name = "CustomerLifetimeValue", provider = "Contoso", model = "Customer lifetime value" }},
]

[removal]
rows = "delete"
links = "clear"
brake_percent = 10
"""

BUSINESS_CONFIG = f"""\
publisher_prefix = "msdynci"
settle_seconds = 120
whole_within = "2h"

[environments."{BUSINESS_ENVIRONMENT}"]
dataverse_url = "https://{BUSINESS_HOST}"
audience = "businesses"

[data_sources.CRM]
dataverse = "https://{BUSINESS_HOST}"

[data_sources.CRM.tables.account]
logical_name = "account"
primary_key = "accountid"

[data_sources.CRM.tables.contact]
logical_name = "contact"
primary_key = "contactid"

[data_sources.ERP.tables.debtor]
primary_key = "debtorno"

[removal]
rows = "delete"
links = "clear"
brake_percent = 10
"""
