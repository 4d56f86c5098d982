#include "maintain/records.hpp"

#include "analysis/table_members.hpp"
#include "capture/capture.hpp"
#include "catalog/log.hpp"
#include "catalog/registration.hpp"

namespace upkeep::maintain {

/// Settings that can change the result of an accepted STABLE function.
constexpr const char *kPinned[] = {
    "TimeZone",     "DateStyle", "IntervalStyle", "extra_float_digits", "default_text_search_config",
    "bytea_output", "xmlbinary", "xmloption",     "lc_monetary",        "lc_numeric",
    "lc_time"};

void record_facts(const Design &design) {
    pg::Vector<catalog::Fact> facts;
    auto add = [&](const analysis::Reliance &r) {
        for (const catalog::Fact &f : facts)
            if (f.classid == r.classid && f.objid == r.objid && f.subid == r.subid && strcmp(f.kind, r.kind) == 0)
                return;
        facts.push_back(
            {r.classid, r.objid, r.subid, r.kind, catalog::fact_fingerprint(r.kind, r.classid, r.objid, r.subid)});
    };
    for (const analysis::Reliance &r : design.program->query->facts)
        add(r);
    for (const analysis::Reliance &r : design.keys_relied_on)
        add(r);
    catalog::set_facts(design.program->view, facts.data(), static_cast<int>(facts.size()));
}

void record_settings(const Design &design, bool keep) {
    const Oid view = design.program->view;
    const analysis::SettingsUse use = design.program->query->settings;
    pg::Vector<catalog::Setting> settings;
    if (keep)
        settings = catalog::settings(view);
    if (settings.empty() && use != analysis::SettingsUse::none)
        for (const char *name : kPinned) {
            settings.push_back({name, pstrdup(GetConfigOption(name, false, false))});
            if (use == analysis::SettingsUse::time_zone)
                break;
        }
    catalog::set_settings(view, settings.data(), static_cast<int>(settings.size()));
    for (const catalog::Setting &s : settings)
        design.program->settings.push_back({s.name, s.value});
}

void record_sources(const Design &design) {
    pg::Vector<Oid> relids;
    pg::Vector<Bitmapset *> used;
    for (const analysis::Captured &captured : analysis::captured_relations(*design.program->query)) {
        relids.push_back(captured.relid);
        used.push_back(captured.used);
    }
    catalog::set_sources(design.program->view, relids.data(), used.data(), static_cast<int>(relids.size()));
}

void drop_unused_triggers(const pg::Vector<Oid> &relids) {
    for (Oid relid : relids)
        if (catalog::views_of(relid).empty() && SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
            capture::drop_triggers(relid);
}

void require_logs(const analysis::ViewQuery &query) {
    for (const analysis::Captured &captured : analysis::captured_relations(query))
        catalog::require_log(captured.relid, captured.used);
}

void drop_unused_logs(const pg::Vector<Oid> &relids) {
    for (Oid relid : relids) {
        bool used = false;
        for (Oid view : catalog::views_of(relid)) {
            catalog::Registration registration;
            used |= catalog::find_registration(view, &registration) && registration.mode == catalog::Mode::deferred;
        }
        if (!used)
            catalog::drop_log(relid);
    }
}

} // namespace upkeep::maintain
