"""Migrations 0001 to 0004 in one, for a new database, as annotation has them."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('training', '0001_initial'),
        ('training', '0002_pipelines_and_schedules'),
        ('training', '0003_benchmarks'),
        ('training', '0004_gate'),
    ]

    dependencies = [
        ('annotation', '0005_rerouting'),  # what the replaced ones need: a database may have these and not all of annotation's
        ('django_celery_beat', '0019_alter_periodictasks_options'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='DatasetSnapshot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('origin', models.CharField(choices=[('reviews', 'Reviews'), ('corpus', 'Imported corpus'), ('benchmark', 'Benchmark')], default='reviews', max_length=16)),
                ('sha256', models.CharField(max_length=64)),
                ('path', models.CharField(help_text='relative to the snapshots folder', max_length=500)),
                ('counts', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('origin__in', ['reviews', 'corpus', 'benchmark'])), name='snapshot_origin_is_known')],
            },
        ),
        migrations.CreateModel(
            name='GateSettings',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('alpha', models.FloatField(default=0.05)),
                ('f1_margin', models.FloatField(default=0.02)),
                ('category_margin', models.FloatField(default=0.05)),
                ('false_positive_cap', models.FloatField(default=0.2)),
                ('parse_failure_cap', models.FloatField(default=0.02)),
                ('regression_cap', models.FloatField(default=0.02)),
                ('fewest_rows', models.PositiveIntegerField(default=20)),
                ('open_blocks', models.BooleanField(default=False)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('set_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('alpha__gte', 0), ('alpha__lte', 1)), name='gate_alpha_is_0_to_1'), models.CheckConstraint(condition=models.Q(('f1_margin__gte', 0), ('f1_margin__lte', 1)), name='gate_f1_margin_is_0_to_1'), models.CheckConstraint(condition=models.Q(('category_margin__gte', 0), ('category_margin__lte', 1)), name='gate_category_margin_is_0_to_1'), models.CheckConstraint(condition=models.Q(('false_positive_cap__gte', 0), ('false_positive_cap__lte', 1)), name='gate_false_positive_cap_is_0_to_1'), models.CheckConstraint(condition=models.Q(('parse_failure_cap__gte', 0), ('parse_failure_cap__lte', 1)), name='gate_parse_failure_cap_is_0_to_1'), models.CheckConstraint(condition=models.Q(('regression_cap__gte', 0), ('regression_cap__lte', 1)), name='gate_regression_cap_is_0_to_1'), models.CheckConstraint(condition=models.Q(('fewest_rows__gte', 1)), name='gate_wants_at_least_a_row')],
            },
        ),
        migrations.CreateModel(
            name='Promotion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('promote', 'Promotion'), ('rollback', 'Rollback')], max_length=16)),
                ('reason', models.TextField()),
                ('gate', models.JSONField(blank=True, default=dict)),
                ('override', models.TextField(blank=True, help_text='why an admin promoted it although the gate had not passed')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('approver', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promotions', to=settings.AUTH_USER_MODEL)),
                ('previous', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='annotation.modelversion')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promotions', to='annotation.modelversion')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='promotion_has_a_reason'), models.CheckConstraint(condition=models.Q(('version', models.F('previous')), _negated=True), name='promotion_changes_the_version')],
            },
        ),
        migrations.CreateModel(
            name='RetrainSchedule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('enabled', models.BooleanField(default=True)),
                ('trigger', models.CharField(choices=[('cron', 'At a time'), ('hard_samples', 'After new hard samples'), ('agreement', 'When agreement with gold drops')], max_length=16)),
                ('cron', models.CharField(blank=True, help_text='minute hour day-of-month month day-of-week', max_length=100)),
                ('time_zone', models.CharField(default='UTC', help_text='IANA name; cron is read in it', max_length=64)),
                ('hard_samples', models.PositiveIntegerField(default=50, help_text='new ones that start a pipeline')),
                ('agreement_below', models.FloatField(default=0.9, help_text='0 to 1: share of gold that the serving version agrees with')),
                ('agreement_window', models.PositiveIntegerField(default=200, help_text='settled gold labels that the share is taken over')),
                ('min_hours', models.PositiveIntegerField(default=12, help_text='between two pipelines of this schedule')),
                ('recipe', models.CharField(max_length=100)),
                ('overrides', models.JSONField(blank=True, default=dict)),
                ('launch', models.JSONField(blank=True, default=dict, help_text='{"processes", "strategy"}; empty: one process')),
                ('attempted_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('beat', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='django_celery_beat.periodictask')),
                ('created_by', models.ForeignKey(help_text='its snapshots and runs are theirs', on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('trigger__in', ['cron', 'hard_samples', 'agreement'])), name='schedule_trigger_is_known'), models.CheckConstraint(condition=models.Q(('cron', ''), ('trigger', 'cron'), _negated=True), name='schedule_by_time_has_a_time'), models.CheckConstraint(condition=models.Q(('agreement_below__gt', 0), ('agreement_below__lte', 1)), name='schedule_agreement_is_a_share'), models.CheckConstraint(condition=models.Q(('agreement_window__gte', 1), ('hard_samples__gte', 1)), name='schedule_counts_something')],
            },
        ),
        migrations.CreateModel(
            name='Benchmark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=80, unique=True)),
                ('task', models.CharField(choices=[('prompt_harmfulness', 'Prompt harmfulness'), ('response_harmfulness', 'Response harmfulness'), ('refusal', 'Refusal')], help_text='the label that is scored', max_length=24)),
                ('modality', models.CharField(help_text='text, image, text-image, video, or mixed', max_length=16)),
                ('rows', models.PositiveIntegerField()),
                ('licence', models.CharField(blank=True, max_length=300)),
                ('over_refusal', models.BooleanField(default=False, help_text='its negative rows are there to be taken for positive ones')),
                ('source_sha256', models.CharField(help_text='of the registered file', max_length=64)),
                ('snapshot', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='benchmark', to='training.datasetsnapshot')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('task__in', ['prompt_harmfulness', 'response_harmfulness', 'refusal'])), name='benchmark_task_is_known')],
            },
        ),
        migrations.CreateModel(
            name='Evaluation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=16)),
                ('config', models.JSONField(default=dict, help_text="the job's config.json")),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('cancel_requested_at', models.DateTimeField(blank=True, null=True)),
                ('claim_token', models.UUIDField(blank=True, null=True)),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('pid', models.PositiveIntegerField(blank=True, null=True)),
                ('error', models.TextField(blank=True)),
                ('result', models.JSONField(blank=True, default=dict)),
                ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('snapshot', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='evaluations', to='training.datasetsnapshot')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='evaluations', to='annotation.modelversion')),
            ],
            options={
                'indexes': [models.Index(fields=['status', 'id'], name='evaluation_by_status')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('status__in', ['failed', 'cancelled']), _negated=True), fields=('version', 'snapshot'), name='a_version_is_evaluated_once_on_a_snapshot'), models.CheckConstraint(condition=models.Q(('status__in', ['queued', 'running', 'succeeded', 'failed', 'cancelled'])), name='evaluation_status_is_known')],
            },
        ),
        migrations.CreateModel(
            name='Pipeline',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('recipe', models.CharField(max_length=100)),
                ('stages', models.JSONField(default=list)),
                ('launch', models.JSONField(default=dict)),
                ('status', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=16)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('base_version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pipelines_from_it', to='annotation.modelversion')),
                ('cloned_from', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='clones', to='training.pipeline')),
                ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('snapshot', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pipelines', to='training.datasetsnapshot')),
                ('schedule', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='pipelines', to='training.retrainschedule')),
            ],
            options={
                'indexes': [models.Index(fields=['status', 'id'], name='pipeline_by_status')],
                'constraints': [models.CheckConstraint(condition=models.Q(('status__in', ['queued', 'running', 'succeeded', 'failed', 'cancelled'])), name='pipeline_status_is_known'), models.UniqueConstraint(condition=models.Q(('schedule__isnull', False), ('status__in', ('queued', 'running'))), fields=('schedule',), name='a_schedule_has_one_open_pipeline')],
            },
        ),
        migrations.CreateModel(
            name='SnapshotRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('split', models.CharField(choices=[('train', 'Train'), ('holdout', 'Holdout')], max_length=8)),
                ('group_key', models.CharField(max_length=64)),
                ('gold', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='snapshot_rows', to='annotation.goldlabel')),
                ('snapshot', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='training.datasetsnapshot')),
            ],
            options={
                'indexes': [models.Index(fields=['group_key'], name='snapshot_row_group')],
                'constraints': [models.UniqueConstraint(fields=('snapshot', 'gold'), name='gold_stands_once_in_a_snapshot'), models.CheckConstraint(condition=models.Q(('split__in', ['train', 'holdout'])), name='snapshot_split_is_known')],
            },
        ),
        migrations.CreateModel(
            name='EvaluationRow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('row_id', models.CharField(max_length=300)),
                ('completion', models.TextField()),
                ('parsed', models.BooleanField()),
                ('gold', models.JSONField(help_text='{"prompt", "response"}')),
                ('predicted', models.JSONField(help_text='{"prompt", "response"}')),
                ('correct', models.BooleanField(help_text='every task that has a gold label is right')),
                ('categories', models.JSONField(default=list, help_text='of the gold verdict')),
                ('held_out', models.BooleanField(default=True, help_text='False: watched, counts in no score')),
                ('evaluation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rows', to='training.evaluation')),
            ],
            options={
                'indexes': [models.Index(fields=['row_id'], name='evaluation_row_of_item')],
                'constraints': [models.UniqueConstraint(fields=('evaluation', 'row_id'), name='a_row_is_scored_once_an_evaluation')],
            },
        ),
        migrations.CreateModel(
            name='ImportedOutputs',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('guard', models.CharField(max_length=100)),
                ('grammar', models.CharField(max_length=16)),
                ('source_sha256', models.CharField(max_length=64)),
                ('result', models.JSONField()),
                ('imported_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('benchmark', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='imported_outputs', to='training.benchmark')),
                ('imported_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('benchmark', 'guard', 'grammar', 'source_sha256'), name='outputs_are_imported_once')],
            },
        ),
        migrations.CreateModel(
            name='Firing',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('why', models.CharField(help_text='the condition that was met, with its numbers', max_length=300)),
                ('outcome', models.CharField(choices=[('started', 'Started a pipeline'), ('skipped', 'Skipped'), ('failed', 'Could not start')], max_length=16)),
                ('note', models.TextField(blank=True, help_text='why no pipeline was started')),
                ('pipeline', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='firing', to='training.pipeline')),
                ('schedule', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='firings', to='training.retrainschedule')),
            ],
            options={
                'indexes': [models.Index(fields=['schedule', '-id'], name='firing_newest')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('outcome', 'started'), ('pipeline__isnull', False)), models.Q(models.Q(('outcome', 'started'), _negated=True), ('pipeline__isnull', True), models.Q(('note', ''), _negated=True)), _connector='OR'), name='firing_started_a_pipeline_or_says_why_not')],
            },
        ),
        migrations.CreateModel(
            name='TrainingRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], default='queued', max_length=16)),
                ('config', models.JSONField(default=dict, help_text="the job's config.json")),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('cancel_requested_at', models.DateTimeField(blank=True, null=True)),
                ('claim_token', models.UUIDField(blank=True, null=True)),
                ('claimed_until', models.DateTimeField(blank=True, null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('pid', models.PositiveIntegerField(blank=True, null=True)),
                ('error', models.TextField(blank=True)),
                ('result', models.JSONField(blank=True, default=dict)),
                ('name', models.CharField(max_length=100, unique=True)),
                ('kind', models.CharField(choices=[('sft', 'Fine-tuning'), ('mine', 'Mining'), ('grpo', 'GRPO'), ('dpo', 'DPO')], default='sft', max_length=16)),
                ('recipe', models.CharField(blank=True, max_length=100)),
                ('recipe_text', models.TextField(blank=True)),
                ('launch', models.JSONField(blank=True, default=dict)),
                ('rows_sha256', models.CharField(blank=True, max_length=64)),
                ('after', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='followers', to='training.trainingrun')),
                ('base_version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs_from_it', to='annotation.modelversion')),
                ('cloned_from', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='clones', to='training.trainingrun')),
                ('mined_from', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='trainings', to='training.trainingrun')),
                ('pipeline', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='training.pipeline')),
                ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('snapshot', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='training.datasetsnapshot')),
                ('version', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='made_by', to='annotation.modelversion')),
            ],
            options={
                'indexes': [models.Index(fields=['status', 'id'], name='run_by_status')],
                'constraints': [models.CheckConstraint(condition=models.Q(('status__in', ['queued', 'running', 'succeeded', 'failed', 'cancelled'])), name='run_status_is_known'), models.CheckConstraint(condition=models.Q(('kind__in', ['sft', 'mine', 'grpo', 'dpo'])), name='run_kind_is_known'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'mine'), _negated=True), ('version__isnull', True), _connector='OR'), name='mining_makes_no_version'), models.CheckConstraint(condition=models.Q(('after', models.F('id')), _negated=True), name='run_does_not_wait_for_itself')],
            },
        ),
        migrations.CreateModel(
            name='TrainingRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=64, unique=True)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('pipeline', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='requests', to='training.pipeline')),
                ('run', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='requests', to='training.trainingrun')),
            ],
        ),
    ]
