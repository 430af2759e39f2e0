// Calls of dynamics-web-api against the local Dataverse: `node dynamics_web_api.mjs ADDRESS TOKEN` prints the
// results as one JSON object. A call that fails is {error: {status, code, message}}.
import { DynamicsWebApi } from "dynamics-web-api";

const [serverUrl, token] = process.argv.slice(2);
const api = new DynamicsWebApi({ serverUrl, dataApi: { version: "9.2" }, onTokenRefresh: async () => token });
const results = {};

async function call(name, work) {
    try {
        results[name] = (await work()) ?? null;
    } catch (error) {
        results[name] = { error: { status: error.status, code: error.code, message: error.message } };
    }
    return results[name];
}

const label = (text) => ({ LocalizedLabels: [{ Label: text, LanguageCode: 1033 }] });
const kind = (name) => `Microsoft.Dynamics.CRM.${name}Metadata`;
const name = { "@odata.type": kind("StringAttribute"), SchemaName: "new_Name", IsPrimaryName: true, MaxLength: 100 };
const table = {
    "@odata.type": kind("Entity"), SchemaName: "new_Thing", DisplayName: label("Thing"), OwnershipType: "UserOwned",
    DisplayCollectionName: label("Things"), HasNotes: false, HasActivities: false, ChangeTrackingEnabled: true,
    Attributes: [{ ...name, DisplayName: label("Name") }],
};
const column = (type, name) => ({ "@odata.type": kind(`${type}Attribute`), SchemaName: name, DisplayName: label(name) });
const missing = "00000000-0000-0000-0000-00000000dead";
const contacts = "contacts";

await call("WhoAmI", () => api.callFunction("WhoAmI"));
const account = await call("create", () => api.create({ collection: "accounts", data: { name: "Acme" } }));
const shown = { collection: contacts, data: { firstname: "A", lastname: "B" }, returnRepresentation: true };
const contact = (await call("representation", () => api.create(shown))).contactid;
const one = { collection: contacts, key: contact };
await call("update", () => api.update({ ...one, data: { firstname: "C" } }));
await call("update missing", () => api.update({ ...one, key: missing, data: { firstname: "C" } }));
await call("single property", () => api.updateSingleProperty({ ...one, fieldValuePair: { lastname: "D" } }));
await call("upsert", () => api.upsert({ collection: contacts, key: missing.replace("dead", "beef"), data: { firstname: "U" } }));
await call("retrieve", () => api.retrieve({ ...one, select: ["firstname", "lastname"], includeAnnotations: "*" }));
await call("count", () => api.count({ collection: contacts }));
await call("count filtered", () => api.count({ collection: contacts, filter: "firstname eq 'C'" }));
await call("retrieve all", () => api.retrieveAll({ collection: contacts, select: ["firstname"], maxPageSize: 1 }));
const fetchXml = '<fetch count="1"><entity name="contact"><attribute name="firstname"/><order attribute="firstname"/></entity></fetch>';
await call("fetch", () => api.fetch({ collection: contacts, fetchXml }));
await call("fetch next", () => api.fetch({
    collection: contacts, fetchXml, pageNumber: 2, pagingCookie: results.fetch.PagingInfo?.cookie,
}));

const many = { collection: "accounts", primaryKey: account, relationshipName: "contact_customer_accounts", relatedKey: contact };
const single = { collection: contacts, primaryKey: contact, navigationProperty: "parentcustomerid_account" };
const parent = async () => (await api.retrieve({ ...one, select: ["_parentcustomerid_value"] }))._parentcustomerid_value;
await call("associate", async () => (await api.associate({ ...many, relatedCollection: contacts }), parent()));
await call("disassociate", async () => (await api.disassociate(many), parent()));
const named = { ...single, relatedCollection: "accounts", relatedKey: account };
await call("associate single", async () => (await api.associateSingleValued(named), parent()));
await call("disassociate single", async () => (await api.disassociateSingleValued(single), parent()));

await call("csdl", () => api.retrieveCsdlMetadata({ addAnnotations: true }));
await call("create table", () => api.createEntity({ data: table }));
const entityKey = "LogicalName='new_thing'";
await call("create column", () => api.createAttribute({ entityKey, data: { ...column("String", "new_Text"), MaxLength: 50 } }));
await call("create file column", () => api.createAttribute({ entityKey, data: column("File", "new_Plan") }));
await call("columns", () => api.retrieveAttributes({ entityKey, castType: kind("StringAttribute"), select: ["LogicalName", "MaxLength"] }));
await call("relationships", () => api.retrieveRelationships({
    castType: kind("OneToManyRelationship"), select: ["SchemaName"], filter: "ReferencedEntity eq 'lead'",
}));
await call("global option sets", () => api.retrieveGlobalOptionSets());

const thing = { collection: "new_things", key: await api.create({ collection: "new_things", data: { new_name: "x" } }) };
await call("changes", () => api.retrieveMultiple({ collection: "new_things", select: ["new_name"], trackChanges: true }));
await call("upload", () => api.uploadFile({ ...thing, fieldName: "new_plan", fileName: "a.txt", data: Buffer.from("hello") }));
await call("download", async () => {
    const file = await api.downloadFile({ ...thing, property: "new_plan" });
    return [file.fileName, file.fileSize, Buffer.from(file.data).toString()];
});

await call("batch", () => {
    api.startBatch();
    api.create({ collection: contacts, data: { lastname: "b1" }, contentId: "1" });
    api.create({ collection: contacts, data: { lastname: "b2" } });
    api.retrieveMultiple({ collection: contacts, select: ["lastname"], filter: "lastname eq 'b2'", inChangeSet: false });
    return api.executeBatch();
});
const targets = [{ "@odata.type": "Microsoft.Dynamics.CRM.contact", lastname: "m" }];
const actionName = "Microsoft.Dynamics.CRM.CreateMultiple";
await call("bulk", () => api.callAction({ collection: contacts, actionName, action: { Targets: targets } }));
await call("delete", () => api.deleteRecord(one));
await call("delete missing", () => api.deleteRecord(one));
console.log(JSON.stringify(results));
