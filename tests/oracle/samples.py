"""Which entities of the sample are which tables, and its source tables."""

from __future__ import annotations

from tests.oracle.tables import Input, Source

SAMPLE = (
    Input("AlternateKey", "AlternateKey"),
    Input("UnifiedActivity", "UnifiedActivity"),
    Input("CustomerMeasure", "Customer_Measure"),
    Input("Enrichment", "BrandShareOfVoiceFromMicrosoft", provider="Microsoft", subject="BrandShareOfVoice"),
    Input("Enrichment", "CompanyData", provider="Leadspace", subject="Company data"),
    Input("Prediction", "ChurnScores", provider="Contoso", subject="Churn"),
    Input("Prediction", "CustomerLifetimeValue", provider="Contoso", subject="Customer lifetime value"),
    Input("SegmentMembership", "Segment_HighValue", subject="HighValue"),
    Input("SegmentMembership", "Segment_Newsletter", subject="Newsletter"),
)
"""For individuals. The sample has no AlternateKey, and `VIPs` says by its annotation what it is."""

BUSINESS_SAMPLE = (
    Input("ContactProfile", "ContactProfile"),
    Input("AlternateKey", "AlternateKey"),
    Input("UnifiedActivity", "UnifiedActivity"),
    Input("CustomerMeasure", "Customer_Measure"),
    Input("CustomerMeasure", "Measure_Support"),
    Input("Enrichment", "Enrichment_Firmographics", subject="Firmographics"),
    Input("Prediction", "Model_Upsell", subject="Upsell"),
    Input("SegmentMembership", "SegmentMembership", membership="Account", ready_made=True),
)

SOURCES = (
    Source("CRM", "contact", "CRM_contact_contactid", "contact"),
    Source("CRM", "lead", "CRM_lead_leadid", "lead"),
    Source("Shop", "customers", "Shop_customers_customerid"),
)
BUSINESS_SOURCES = (
    Source("CRM", "account", "", "account"),
    Source("CRM", "contact", "", "contact"),
    Source("ERP", "debtor", ""),
)
